"""What any of the wings may use, and what uses none of them."""
