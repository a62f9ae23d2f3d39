"""Of the product: the API description and the manifests of bundles say it."""

VERSION = "0.1.0"
