"""Search and sweeps of networks (docs/search.md). The package can be called: `edgeconv.search("pulse", ...)`."""

from edgeconv._package_call import let_package_be_called

let_package_be_called(__name__, "edgeconv.search.api")
