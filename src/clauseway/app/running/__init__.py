"""Everything that runs: plans for the gateway, its processes and the pages', the doctor, the
first night (`clauseway up`)."""
