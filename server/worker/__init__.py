"""The processes that draw and export, and who starts them again when they die."""
