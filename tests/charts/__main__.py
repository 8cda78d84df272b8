"""`python -m tests.charts`: write what is made from something else.

The manifest is made from the chart, the chart's CRD from the manifest, its admission policies' CEL from the injector.
"""

import shutil

from tests.charts.injection.document import DOCUMENTS
from tests.charts.rendered import LEASEHOLD, MANIFEST, ROOT, manifest

for file, made in DOCUMENTS.items():
    file.write_text(made())
shutil.copyfile(ROOT / "manifests" / "crd.yaml", LEASEHOLD / "files" / "crd.yaml")
MANIFEST.write_text(manifest())
