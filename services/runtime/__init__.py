"""What every service process shares: settings, Kafka clients, health, logging, signals. Knows nothing of campaigns."""
