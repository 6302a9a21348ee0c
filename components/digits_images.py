"""scikit-learn's hand-written digits as PNG files, so that a first pipeline of images needs no download."""

from __future__ import annotations

from ..pipelines.artifact import Files
from ..pipelines.component import component
from ..pipelines.context import Context
from ..pipelines.errors import StepError

INK = 16
"""The darkest value of scikit-learn's digits."""


@component
def digits_images(ctx: Context) -> Files:
    """Writes the hand-written digits that come with scikit-learn to PNG files, in a folder for each class.

    1,797 gray images, 8 by 8 pixels, `0/00000.png` to `9/…`, numbered in scikit-learn's order; its values 0
    to 16 are spread over 0 to 255, white on black.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998 (its test set).

    Raises:
        StepError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise StepError(
            "the digits come with scikit-learn, which is not installed",
            remedy='pip install "headrace[examples]"',
        ) from error
    from PIL import Image

    table = load_digits()
    pixels = (table.images * (255 / INK)).round().astype("uint8")
    draft = ctx.output(Files)
    for name in sorted(set(table.target.tolist())):
        (draft.path / str(name)).mkdir()
    for number, (image, name) in enumerate(zip(pixels, table.target.tolist(), strict=True)):
        Image.fromarray(image).save(draft.path / str(name) / f"{number:05d}.png")
    return draft.finish(summary={"images": len(pixels)})
