"""The engine of Paretoscope: measures, fits, predicts and explains. It imports no Qt and draws nothing."""
