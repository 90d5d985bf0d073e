"""What a page shows, as data: tables, lines, dots, histograms, points and images, in chapters.

The rooms that find something say it in exhibits; the report draws them and knows nothing else. The
JSON beside a page is the exhibit itself.
"""

from elbax.exhibits.chapters import Chapter, Section
from elbax.exhibits.kinds import (
    NONE,
    DotsExhibit,
    Exhibit,
    HistogramExhibit,
    ImagesExhibit,
    Line,
    LinesExhibit,
    Panel,
    PointsExhibit,
    TableExhibit,
    plus_minus,
    slug,
)
from elbax.exhibits.stored import exhibit_of

__all__ = [
    "NONE",
    "Chapter",
    "DotsExhibit",
    "Exhibit",
    "HistogramExhibit",
    "ImagesExhibit",
    "Line",
    "LinesExhibit",
    "Panel",
    "PointsExhibit",
    "Section",
    "TableExhibit",
    "exhibit_of",
    "plus_minus",
    "slug",
]
