"""What is looked at: tasks, annotations, splits, few-shot subsets, where they come from and what is wrong with them."""
