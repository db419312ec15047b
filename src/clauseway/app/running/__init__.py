"""What runs: plans for the gateway, its processes and the pages', the doctor, and the first night (`clauseway up`)."""
