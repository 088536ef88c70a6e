"""Laws: plain functions of columns and parameters, one file per family."""
