"""The label tables of data sets, as data: ids, names, colours, train ids."""
