"""Independent peers for the scenario tests: NJE node, mail sink, mail load, capture player.

Nothing here shares code with the connector: a mistake made twice would otherwise look like a truth.
"""
