"""The optimization server: one loop that proposes images, has them shown, and learns from the spikes."""
