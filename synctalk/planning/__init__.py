"""What a corpus will cost, from a few of its clips: core-hours, gigabytes, and their uncertainty.

The lists of the corpus are read whole, its media files are not. A random sample of the listed clips is probed for its
length; a part of that sample goes through the functions of the stages index, crop, features and shard, timed. Costs are
taken to grow with the frames: the estimator is the ratio of cost to frames in the smaller sample, times the frames of
the corpus as the larger one tells them (double sampling; Cochran, Sampling Techniques, ch. 12).
"""
