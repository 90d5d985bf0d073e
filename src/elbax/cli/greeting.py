"""What `elbax` alone says. It imports nothing, so that it is there at once."""

GREETING = """elbax trains, evaluates and compares latent-variable models (VAE, IWAE, ..).

Try, with nothing to download:
  elbax compare --data digits --model small --epochs 40
  elbax train --data digits --model small --method iwae --k 8 --out runs/iwae
  elbax reproduce list

All commands: elbax --help. The options of one: elbax train --help.
"""
