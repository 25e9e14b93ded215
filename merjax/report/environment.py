"""What a run ran on: versions, devices, commit, command."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax

PACKAGES = ("merjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "opencv-python-headless")


def ran_on() -> dict:
    """Versions of the packages that decide numbers, and the machine in words."""
    return {
        **{name: installed(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "devices": ", ".join(f"{device.platform}:{device.id}" for device in jax.devices()),
        "commit": commit(),
        "command": " ".join(["python", *sys.argv]),
    }


def installed(package: str) -> str:
    """Its version; "" where it is used without being installed, or comes under another name."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def commit() -> str:
    """The commit of merjax's own checkout, with "+changes" where its files differ; "" outside a checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, check=True)
        changed = subprocess.run(["git", "-C", root, "diff", "--quiet", "HEAD"], check=False)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.decode("ascii").strip() + ("+changes" if changed.returncode else "")
