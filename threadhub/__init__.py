VERSION = "0.1.0"  # of the product: the API description and the manifests of bundles say it
