// Before anything is painted: the colours that were chosen last. A classic script, because modules wait.
(() => {
  try {
    const chosen = localStorage.getItem("tickstream.theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is forbidden here: the colours are the system's.
  }
})();
