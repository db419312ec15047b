"""Files for what watches the gateway: a dashboard for Grafana, and rules for Prometheus."""
