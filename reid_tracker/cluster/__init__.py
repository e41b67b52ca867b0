"""Past one machine: recorded archives and live sites on a Ray cluster (docs/cluster.md).

Cameras are followed where there is room, up to tracklets without identities (`Pipeline.follow`); only tracklets and
their looks travel to the one associator of the site. Ray is imported where a cluster is asked for and nowhere else.
"""
