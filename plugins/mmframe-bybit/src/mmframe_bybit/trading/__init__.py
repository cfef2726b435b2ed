"""Trading on v5: orders over the trade socket or HTTP, evidence from the private stream, the rest asked by REST."""
