"""Where metrics go beside metrics.jsonl: TensorBoard, W&B, MLflow, Trackio, or your own."""
