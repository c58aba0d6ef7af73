"""The units of work. Each runs alone: `accelerate launch -m w2s_rm.stages.<name> --config stage.yaml`."""
