"""Peers that speak the wire as the recording systems do: for tests, conformance and dry runs without hardware."""
