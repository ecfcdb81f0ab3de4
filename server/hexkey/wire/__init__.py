"""The doors of the house: each wire decodes to a Request, calls the Service, encodes its events."""
