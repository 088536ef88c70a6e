"""The engine of Paretoscope: measures, fits, predicts and explains. It imports no Qt."""
