"""`python -m tests.charts`: write what is made from something else: the manifest from the chart, the chart's CRD."""

import shutil

from tests.charts.rendered import LEASEHOLD, MANIFEST, ROOT, manifest

shutil.copyfile(ROOT / "manifests" / "crd.yaml", LEASEHOLD / "files" / "crd.yaml")
MANIFEST.write_text(manifest())
