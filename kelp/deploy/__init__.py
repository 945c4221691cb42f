"""Card → Kubernetes objects: the one renderer that the chart, kustomize and `kelp deploy` share.

Nothing here asks a cluster; what comes out is plain data, the same for the same card and options.
"""

from kelp.deploy.cards import with_gpu_choice
from kelp.deploy.families import FAMILIES, Variant, variant_of
from kelp.deploy.objects import card_config_map_name, render
from kelp.deploy.options import Images, RenderOptions
from kelp.deploy.runtimes import runtimes
from kelp.deploy.weights import Deployed, deployed_weights

__all__ = [
    "FAMILIES",
    "Deployed",
    "Images",
    "RenderOptions",
    "Variant",
    "card_config_map_name",
    "deployed_weights",
    "render",
    "runtimes",
    "variant_of",
    "with_gpu_choice",
]
