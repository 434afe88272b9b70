"""How much of a JPEG needs to be decoded."""

import simplejpeg


def fraction_of(jpeg: bytes, least: float) -> dict[str, int]:
    """Arguments of `simplejpeg.decode_jpeg` for the smallest power-of-two fraction of a JPEG's size
    (at least an eighth) that keeps its shorter side at `least` pixels or more."""
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    fraction = 1
    while min(height, width) // (2 * fraction) >= least and fraction < 8:
        fraction *= 2
    if fraction == 1:
        return {}
    return {"min_height": height // fraction, "min_width": width // fraction}
