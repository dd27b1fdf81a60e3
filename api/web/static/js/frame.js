// Writing to the document in step with the screen, however fast messages come.

/** A function that asks for one run of `write` in the next frame, at most once in `pauseMs`. */
export function batched(write, pauseMs = 0) {
  let waiting = false;
  let last = -Infinity;
  const run = () => {
    waiting = false;
    last = performance.now();
    write();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    const pause = last + pauseMs - performance.now();
    // A page in the background gets no frames; it is written when it is looked at again.
    if (pause > 0) setTimeout(() => requestAnimationFrame(run), pause);
    else requestAnimationFrame(run);
  };
}
