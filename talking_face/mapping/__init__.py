"""From speech to motions: the DIRFA network, how it is sampled, and blinks and glances."""
