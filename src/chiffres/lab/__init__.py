"""The lab itself: convolution and pooling by hand, and its experiment from end to end."""
