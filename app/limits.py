"""What one visitor may bring, so that nobody holds the others up. The library's own bounds hold too, see `core.kinds`.

For more there is the command `brainmri predict`.
"""

import io
import zipfile

from brainmri.core import kinds
from brainmri.core.errors import InputError

MAX_UPLOAD_BYTES = 100 * 2**20  # of a file, as in .streamlit/config.toml
MAX_UNPACKED_BYTES = 2**30  # of an archive
MAX_MEMBERS = 5000  # of an archive
MAX_SCANS = 200  # of a session
MAX_SESSION_VOXELS = 2**28
_PACKED_TARS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


def require_small_file(name: str, data: bytes) -> None:
    """Refuse a file that is too large, or would be once it is unpacked.

    Raises
    ------
    InputError
        Also for a compressed tar, whose size nobody knows before it is unpacked.
    """
    if len(data) > MAX_UPLOAD_BYTES:
        raise InputError(f"{name}: a file should have at most {MAX_UPLOAD_BYTES} bytes here, received {len(data)}")
    if data.startswith(_PACKED_TARS) and kinds.kind(name, data) != kinds.VOLUME:
        raise InputError(f"{name}: an archive should be a zip or a plain tar here, received a compressed one")
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist() if data.startswith(b"PK") else []
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return  # whoever reads it says what is wrong
    size = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or size > MAX_UNPACKED_BYTES:
        raise InputError(
            f"{name}: an archive should hold at most {MAX_MEMBERS} files and {MAX_UNPACKED_BYTES} bytes here, "
            f"received {len(members)} and {size}"
        )
