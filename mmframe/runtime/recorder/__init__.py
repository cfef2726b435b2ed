"""The recorder: raw frames of a live feed into compressed files that a history replays, with a manifest beside them."""

from mmframe.runtime.recorder.manifest import MANIFEST_NAME, CaptureManifest, read_manifest
from mmframe.runtime.recorder.plan import RecordPlan
from mmframe.runtime.recorder.session import RecordObserver, RecordResult, RecordStatus, record_feed
from mmframe.runtime.recorder.settings import Fsync, RecorderSettings
from mmframe.runtime.recorder.writer import CaptureWriter

__all__ = [
    "MANIFEST_NAME",
    "CaptureManifest",
    "CaptureWriter",
    "Fsync",
    "RecordObserver",
    "RecordPlan",
    "RecordResult",
    "RecordStatus",
    "RecorderSettings",
    "read_manifest",
    "record_feed",
]
