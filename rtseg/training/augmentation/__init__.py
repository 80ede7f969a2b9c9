"""Augmentation of whole batches, on the tensors' own device.

settings.py   what a recipe says of it (read without torch)
apply.py      `augment`: a batch and settings in, a batch out
geometry.py   zoom, crop, mirroring, rotation, translation, perspective: one sampling grid
elastic.py    smooth random displacements, added to the same grid
pixels.py     gamma, colour, blur, noise
cutout.py     squares that are taken out
draws.py      random numbers for a batch
preview.py    augmented versions of samples, to look at
"""
