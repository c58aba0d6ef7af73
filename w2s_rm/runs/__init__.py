"""The folders of runs: who holds one, when it is finished, what was planned, how a stage is launched."""
