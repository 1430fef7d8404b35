"""What the network is: attention (equations 3 to 6), code and decoder, context, networks (7 to 9)."""
