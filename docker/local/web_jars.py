"""The programs that Flink's Web UI offers under "Submit New Job": a jar for each of our jobs."""

import shutil
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from docker.local.flink_libraries import compile_java
from docker.local.settings import PROJECT

SOURCE = PROJECT / "docker/flink/SubmitJob.java"
MAIN_CLASSES = {"bars": "SubmitJob$Bars", "store": "SubmitJob$Store"}


def make_web_jars(upload_dir: Path, libraries: Path, jdk: Path) -> None:
    """Puts them where a JobManager with this ``web.upload.dir`` looks for them, in place of what is there;
    compiled against the jars of Flink in ``libraries``. Raises PartFailed."""
    folder = upload_dir / "flink-web-upload"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with TemporaryDirectory() as work:
        classes = Path(work)
        compile_java([SOURCE], libraries, jdk, classes)
        for job, main_class in MAIN_CLASSES.items():
            # What stands before the underscore is its id, which nobody can guess; the rest is its name.
            with ZipFile(folder / f"{uuid.uuid4()}_{job}.jar", "w") as jar:
                jar.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nMain-Class: {main_class}\n\n")
                for file in sorted(classes.glob("*.class")):
                    jar.write(file, file.name)
