"""What people see of a training afterwards: TensorBoard's event files, a CSV file, curves as a picture."""
