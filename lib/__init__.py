"""What the stages share: small modules named for the thing they hold."""

import os

# numba reads it when it is imported, which modules below do.
os.environ.setdefault(
    "NUMBA_CACHE_LOCATOR_CLASSES", "lib.kernels.cache.KernelCacheLocator,InTreeCacheLocator,UserWideCacheLocator"
)
