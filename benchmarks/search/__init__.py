"""The search for a lighter attention, trained at scale: the paper's equations over views of a volume.

`head` is the brain on a grid, `courses` and `studies` simulate small studies in torch (on a graphics card or not),
`context` fits what other runs have in common, `views` shows a volume to the network, `network` is the attention,
`train` trains several variants side by side, `score` judges weights on planted networks of tuning seeds.

Everything but ``head`` as a program and ``score`` needs only torch, numpy, scipy and safetensors.
"""
