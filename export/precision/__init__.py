"""Graph-level conversion of exported fp32 graphs: to fp16, and to int8 with quantised layers.

Tensors that enter and leave a graph keep their declared types whatever the precision inside, so
configurations, contract and clients are the same for every precision.
"""
