"""scikit-learn's interface to densities of tables with holes.

Estimators that fit where scikit-learn's do (pipelines, searches, `clone`, `set_output`), take NaN
for what nobody observed, and say how far their numbers can be trusted. Import it by its own name:
`import elbax` does not import scikit-learn.
"""

from elbax.sklearn.density import Density
from elbax.sklearn.imputer import Imputer
from elbax.sklearn.outliers import OutlierDetector

__all__ = ["Density", "Imputer", "OutlierDetector"]
