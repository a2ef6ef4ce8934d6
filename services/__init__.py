"""The processes of Ringfold: each stands alone, none imports another; what all share is `services.runtime`."""
