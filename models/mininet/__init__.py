"""Depth from single pictures: synthetic and recorded drives, and the measures of monocular depth.

from edgeconv.models.mininet import DriveConfig, find_drives, score_depth, write_drives

write_drives(Path("drives"), DriveConfig(), drives=20, seed=0)      # KITTI's raw layout, with true depth and poses
for drive in find_drives(Path("drives")):                           # KITTI itself is read by the same call
    picture, poses = drive.image(3, size=(416, 128)), drive.poses()
trained_model()                                                     # a quantized network, trained: an ONNX file
"""

from edgeconv.models.mininet.camera import Camera
from edgeconv.models.mininet.drive import DriveConfig, write_drives
from edgeconv.models.mininet.kitti import Drive, find_drives, read_split, scan_depth
from edgeconv.models.mininet.metrics import DepthScore, garg_crop, mean_score, score_depth
from edgeconv.models.mininet.shipped import trained_model

__all__ = [
    "Camera",
    "DepthScore",
    "Drive",
    "DriveConfig",
    "find_drives",
    "garg_crop",
    "mean_score",
    "read_split",
    "scan_depth",
    "score_depth",
    "trained_model",
    "write_drives",
]
