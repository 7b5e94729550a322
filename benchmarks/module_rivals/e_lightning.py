"""Lightning, whose trainer is fed by a DataLoader."""

from __future__ import annotations

import logging

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from module_rivals import RATE, network

NAME = "Lightning"

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class _Trained(lightning.LightningModule):
    def __init__(self, module, loss):
        super().__init__()
        self.module, self.loss = module, loss

    def training_step(self, batch, _):
        rows, targets = batch
        return self.loss(self.module(rows), targets)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=RATE)


def fit(X, y, hidden, batch_size, epochs):
    """All that can be switched off is."""
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(_Trained(*network(X, y, hidden)), DataLoader(data, batch_size=batch_size, shuffle=True))
