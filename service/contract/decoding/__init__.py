"""What `service.contract.decode` is made of: file readers, modality, radiometry, ground size."""
