"""The wire: connections, servers, requests and the contract of the model that answers."""
