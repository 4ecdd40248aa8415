"""Boxes, anchors, assignment of targets, losses."""
