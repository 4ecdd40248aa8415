"""How detections are judged: COCO metrics and paired statistics."""
